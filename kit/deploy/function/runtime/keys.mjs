// The site's API keys: any is accepted, the newest is sent.

import { createHash, timingSafeEqual } from "node:crypto";

const NAME = /^AWL_API_KEY(?:_P(\d+))?$/;

/** Return the keys in the environment, the newest first: that with the highest number. */
export function keysIn(environ) {
  return Object.entries(environ)
    .map(([name, key]) => [NAME.exec(name), key])
    .filter(([match, key]) => match && key)
    .sort(([one], [other]) => Number(other[1] ?? -1) - Number(one[1] ?? -1))
    .map(([, key]) => key);
}

/** Whether an Authorization header holds one of `keys`, found out in a time that tells nothing of them. */
export function isKnown(authorization, keys) {
  const [, given] = /^Bearer +(\S+)$/i.exec(authorization ?? "") ?? [];
  const digest = digestOf(given ?? "");
  const same = keys.map((key) => timingSafeEqual(digestOf(key), digest));
  return given !== undefined && same.includes(true);
}

const digestOf = (text) => createHash("sha256").update(text).digest();
