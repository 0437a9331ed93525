/** The slow work. */

/** How many primes there are from a number on and below another one. */
export function primesWithin(start: number, end: number): number {
    let count = start <= 2 && end > 2 ? 1 : 0;
    // The odd numbers from here on: the one at `i` is `first + 2 * i`.
    const first = Math.max(start, 3) | 1;
    const length = Math.max(0, Math.ceil((end - first) / 2));
    const composite = new Uint8Array(length);
    // Whatever is composite has a factor up to its root.
    for (const prime of oddPrimesUpTo(Math.floor(Math.sqrt(end)))) {
        // Smaller multiples than the square have a smaller factor.
        let multiple = Math.max(prime * prime, Math.ceil(first / prime) * prime);
        if (multiple % 2 === 0) multiple += prime;
        for (let i = (multiple - first) / 2; i < length; i += prime) composite[i] = 1;
    }
    for (let i = 0; i < length; i++) if (composite[i] === 0) count++;
    return count;
}

function oddPrimesUpTo(end: number): number[] {
    const composite = new Uint8Array(end + 1);
    const primes: number[] = [];
    for (let number = 3; number <= end; number += 2) {
        if (composite[number]) continue;
        primes.push(number);
        for (let multiple = number * number; multiple <= end; multiple += 2 * number)
            composite[multiple] = 1;
    }
    return primes;
}
