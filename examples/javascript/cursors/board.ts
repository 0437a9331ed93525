/** Names, and what may be drawn. */

/** A message that a client may not send, with the reason. */
export class Refused extends Error {}

/** A place on the board, in thousandths of its width and height. */
export type Place = [x: number, y: number];

/** The name of a board: 1 to 32 of `a-z 0-9 -`. It is part of a group's name, so it has its letters. */
export function readBoard(text: string): string | undefined {
    return /^[a-z0-9-]{1,32}$/.test(text) ? text : undefined;
}

/** The key of a browser, the same in each of its windows. */
export function checkKey(key: string): string {
    if (!/^[A-Za-z0-9-]{1,36}$/.test(key)) throw new Refused("A key has 1 to 36 of a-z A-Z 0-9 -.");
    return key;
}

/** The name of a person. */
export function checkName(name: string): string {
    const text = name.trim();
    if (!text) throw new Refused("Please say your name.");
    if ([...text].length > 24 || /\p{Cc}/u.test(text))
        throw new Refused("A name has at most 24 letters.");
    return text;
}

/** A part of a line. */
export function checkStroke(stroke: unknown): Place[] | undefined {
    if (!Array.isArray(stroke) || !stroke.every(isPlace)) return undefined;
    if (stroke.length < 2 || stroke.length > 64) throw new Refused("A stroke has 2 to 64 points.");
    return stroke;
}

/** Whether a value is a place on the board. */
export function isPlace(value: unknown): value is Place {
    const fits = (part: unknown) => Number.isInteger(part) && Number(part) >= 0 && Number(part) <= 1000;
    return Array.isArray(value) && value.length === 2 && value.every(fits);
}

/** A colour that stays the same, from 0 to 359. */
export function hue(key: string): number {
    return [...key].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 0);
}
