/** Greetings over HTTP. */

import { app, badRequest, http, notFound } from "@tidegate/sdk";

const hello = http("GET /hello/{name}", ({ params }) => `Hello, ${params.name}!\n`);

/** @type {Record<string, string>} */
const WORDS = { en: "Hello", de: "Hallo", fr: "Bonjour", tlh: "nuqneH" };

const greet = http("POST /hello", (request) => {
  const { name, language = "en", ...others } = request.json();
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw badRequest(`body: unknown field \`${other}\`, expected \`name\` or \`language\`\n`);
  if (typeof name !== "string") throw badRequest("body: `name` is to be text\n");
  if (!Object.hasOwn(WORDS, language)) throw notFound(`no greeting in \`${language}\`\n`);
  return { language, text: `${WORDS[language]}, ${name}!` };
});

export default app({ hello, greet });
