/** One way for values and for promises of them. */

/**
 * @param {unknown} value
 * @returns {value is PromiseLike<any>}
 */
export function isPromise(value) {
  return (
    (typeof value === "object" || typeof value === "function") &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

/**
 * Goes on with a value at once, or with that of a promise when it settles. A consumer without
 * promises so runs without any.
 *
 * @template Value, Result, Other
 * @param {() => Value | PromiseLike<Value>} begin
 * @param {(value: Value) => Result} next
 * @param {(error: unknown) => Other} [otherwise] for what `begin` throws; not for what `next`
 *   throws
 * @returns {Result | Other | PromiseLike<Result | Other>}
 */
export function after(begin, next, otherwise) {
  let value;
  try {
    value = begin();
  } catch (error) {
    if (otherwise) return otherwise(error);
    throw error;
  }
  return isPromise(value) ? value.then(next, otherwise) : next(/** @type {Value} */ (value));
}
