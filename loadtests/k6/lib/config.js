// Everything a script may know comes from the environment: the harness sets it, a person can too.

function text(name, fallback) {
  const value = __ENV[name];
  if (value !== undefined && value !== '') return value;
  if (fallback === undefined) throw new Error(`${name} is not set`);
  return fallback;
}

function number(name, fallback) {
  const value = Number(text(name, String(fallback)));
  if (!Number.isFinite(value)) throw new Error(`${name} is not a number`);
  return value;
}

export const config = Object.freeze({
  control: text('CONTROL_URL'), // the harness: hands out stretches, rows and the bytes of files
  strategies: JSON.parse(text('STRATEGIES')), // name -> path of its script
  uploadVus: number('UPLOAD_VUS', 1), // VUs 1 to so many upload, the next log in, the last list
  loginVus: number('LOGIN_VUS', 0),
  listVus: number('LIST_VUS', 0),
  summary: text('SUMMARY', ''),
  hosts: JSON.parse(text('HOSTS', '{}')), // "host:port" of URLs -> address and port to connect to
  seed: number('SEED', 1),
  trace: text('TRACE', '0') === '1', // one line for every request of an upload
  timeout: text('REQUEST_TIMEOUT', '60s'),
});
