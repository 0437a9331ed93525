/** Everything that has to be there before the first line of an application, in this order. */

// Before the clocks and random numbers are guarded: core-js draws a number for names of its own.
import "./url.js";
import "./text.js";
import "./clock.js";
import "./random.js";
import "./promise.js";
import "./console.js";
