/**
 * `URL` and `URLSearchParams`, which the engine lacks. They take a megabyte of each instance, so
 * the build puts them in front of the prelude where code names them alone. In front, since core-js
 * draws a random number for names of its own.
 */

import "core-js/actual/url/index.js";
import "core-js/actual/url-search-params/index.js";
