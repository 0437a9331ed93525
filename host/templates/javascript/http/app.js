/** Greetings over HTTP. */

import { app, badRequest, http } from "@tidegate/sdk";

const hello = http("GET /module-name/{name}", ({ params }) => `Hello, ${params.name}!\n`);

const greet = http("POST /module-name", (request) => {
  const wish = request.typedJson();
  if (typeof wish?.name !== "string") throw badRequest("body: expected `name`, a text\n");
  return { text: `Hello, ${wish.name}!` };
});

export default app({ hello, greet });
