/** `URL` and `URLSearchParams`, which the engine lacks. */

import "core-js/actual/url/index.js";
import "core-js/actual/url-search-params/index.js";
