// The same cases with every client. They tell what happened; the test judges.
import { readFileSync } from "node:fs";

const document = (name) =>
  readFileSync(new URL(`documents/${name}.graphql`, import.meta.url), "utf8");
const [VIEWER, INVALID, START, UPLOAD, FOLLOW] = "viewer invalid start upload follow"
  .split(" ")
  .map(document);

const inWords = (errors) =>
  errors?.map((error) => ({ message: error.message, code: error.extensions?.code }));

async function start(client, prompt, variantCount) {
  const input = { prompt, variantCount };
  const { data, errors } = await client.request(START, { input });
  const jobs = data?.startGeneration?.generation?.jobs;
  if (!jobs) throw new Error(`not started: ${JSON.stringify(data ?? errors)}`);
  return jobs.map(({ id }) => id);
}

// A subscription: `first` after its first result, `end` after its last one.
function follow(client, ids) {
  const seen = [];
  let told;
  const first = new Promise((resolve) => (told = resolve));
  let stop;
  const end = new Promise((resolve, reject) => {
    const next = ({ data, errors }) => {
      if (errors) return reject(new Error(JSON.stringify(errors)));
      seen.push(data.jobProgress);
      told();
    };
    stop = client.subscribe(FOLLOW, { ids }, { next, error: reject, complete: () => resolve(seen) });
  });
  return { seen, first: Promise.race([first, end]), end, stop };
}

async function requests(client, tell, { prompt, photo }) {
  tell("query", await client.request(VIEWER, {}));
  const file = new File([readFileSync(photo)], "photo.jpg", { type: "image/jpeg" });
  const sent = client.upload ?? client.request;
  const { data, errors } = await sent(UPLOAD, { file: client.upload ? file : "photo.jpg" });
  tell("upload", { data, errors: inWords(errors) });
  tell("invalid", { errors: inWords((await client.request(INVALID, {})).errors) });
  const ids = await start(client, prompt, 3);
  tell("mutation", { ids });
  const followed = follow(client, ids);
  await followed.first;
  followed.stop();
  tell("unsubscribed", { seen: followed.seen, ...(await client.request(VIEWER, {})) });
  return ids;
}

async function grids(client, tell, _options, [a, b, c]) {
  const grids = [[a, b, c], [a], [b], [c], [a, b], [b, c]];
  const followed = grids.map((ids) => follow(client, ids));
  await Promise.all(followed.map(({ first }) => first));
  tell("following", {});
  const [grid, ...five] = await Promise.all(followed.map(({ end }) => end));
  tell("grid", { seen: grid });
  tell("five", { seen: five });
}

async function restart(client, tell, { prompt }) {
  const ids = await start(client, prompt, 1);
  const followed = follow(client, ids);
  await followed.first;
  tell("following", {});
  tell("restart", { seen: await followed.end, ...(await client.request(VIEWER, {})) });
}

export const CASES = { requests, grids, stop: restart, kill: restart };
