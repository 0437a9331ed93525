/** For `node --import @tidegate/sdk/register`: imports that end with `?text` and `?bytes`, and TypeScript. */

import { register } from "node:module";

register("./hooks.js", import.meta.url);
