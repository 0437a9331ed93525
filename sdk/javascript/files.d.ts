// Types of files that are imported as text or bytes. In tsconfig.json: "types": ["@tidegate/sdk/files"].

declare module "*?text" {
  const text: string;
  export default text;
}

declare module "*?bytes" {
  const bytes: Uint8Array;
  export default bytes;
}
