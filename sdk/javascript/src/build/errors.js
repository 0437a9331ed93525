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

/** The application exports declarations and has none, or the other way round: another world fits. */
export class OtherWorld extends BuildError {}
