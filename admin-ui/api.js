// The server's API with the admin token: the only file of the page that calls fetch.

// The token lives as long as the tab, in no URL and no cookie.
const TOKEN = 'plugcast.token';
const ANSWER_LIMIT_MS = 10_000;
// The most that the API gives at once; the page says so when there is more.
export const LIST_MAX = 1000;

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  clear: () => sessionStorage.removeItem(TOKEN),
};

// The server has answered, and said no.
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function call(method, path) {
  const secret = token.get() ?? '';
  // A header can't carry anything else, and fetch would fail as if the server were gone.
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new Refused(401, 'this is not the token');
  const response = await fetch(`/api/v1/${path}`, {
    method,
    headers: { Authorization: `Bearer ${secret}` },
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
  });
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => null);
  throw new Refused(response.status, problem?.detail ?? response.statusText);
}

const segment = encodeURIComponent;

export const list = (name) => call('GET', `${name}?limit=${LIST_MAX}`);
export const system = () => call('GET', 'system');
export const stream = (key) => call('GET', `streams/${segment(key)}`);
export const kick = (conn) => call('DELETE', `viewers/${segment(conn)}`);

// `blockFor` as the API reads it: '10m'; empty: the key is free again at once.
export function stop(key, blockFor) {
  const query = blockFor ? `?block_for=${segment(blockFor)}` : '';
  return call('POST', `streams/${segment(key)}/stop${query}`);
}
