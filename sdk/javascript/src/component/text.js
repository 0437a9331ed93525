/** `TextEncoder` and `TextDecoder` for UTF-8, which the engine lacks. */

import { TextDecoder, TextEncoder } from "@kayahr/text-encoding/no-encodings";

for (const [name, value] of Object.entries({ TextEncoder, TextDecoder })) {
  if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
