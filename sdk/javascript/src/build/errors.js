/** The build failed, and its message says how to mend it. */
export class BuildError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = "BuildError";
  }
}

/** The names in the code misled: another world fits the consumers of the application. */
export class OtherWorld extends BuildError {
  /** @param {readonly import("../component/declarations.js").Decided[]} decided what they need */
  constructor(decided) {
    super(`the consumers need another world: ${decided.join(" ") || "nothing"}`);
    this.decided = decided;
  }
}
