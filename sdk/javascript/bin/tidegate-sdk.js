#!/usr/bin/env node
/** `tidegate-sdk build app.js -o app.wasm` */

import { main } from "../src/build/cli.js";

process.exitCode = await main(process.argv.slice(2));
