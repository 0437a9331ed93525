/** Everything that has to be there before the first line of an application, in this order. */

import "./text.js";
import "./clock.js";
import "./random.js";
import "./promise.js";
import "./console.js";
