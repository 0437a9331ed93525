/** Work in the background: a request is answered now, and the work is done by another consumer. */

import { FlushError, Response, app, badRequest, channel, http } from "@tidegate/sdk";

/** Work to do. */
interface Job {
  text: string;
}

const submit = http("POST /module-name", (request, cx) => {
  const { text } = Object(request.typedJson());
  if (typeof text !== "string") throw badRequest("body: expected `text`, a text\n");
  const job: Job = { text };
  cx.send("module-name.count", job);
  try {
    // Sends now, and says if the channel is full. Without it the host would try for a while after the
    // answer and then drop the job.
    cx.flush();
  } catch (error) {
    if (!(error instanceof FlushError)) throw error;
    cx.warn(error.message);
    return Response.text("too much to do, try again later\n", { status: 503 });
  }
  return Response.text("it will be done\n", { status: 202 });
});

/** Nobody waits for this: it may take as long as the host's deadline allows. */
const count = channel("module-name.count", (job: Job, cx) => {
  const words = job.text.match(/\S+/g)?.length ?? 0;
  cx.info(`${words} words`);
});

export default app({ submit, count });
