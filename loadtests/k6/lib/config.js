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
  gateway: text('GATEWAY_URL'),
  strategy: text('STRATEGY', 'none'),
  strategyScript: text('STRATEGY_JS', ''),
  variant: text('VARIANT', ''), // of the strategy, for its script
  pieceBytes: number('PIECE_BYTES', 5 * 1024 * 1024),
  fileBytes: number('FILE_BYTES', 0),
  pattern: text('PATTERN', ''), // shared bytes of every file
  table: text('TABLE', ''), // one row per upload: reference, digests, stamps
  identities: text('IDENTITIES', ''), // users with prepared tokens
  summary: text('SUMMARY', ''),
  hosts: JSON.parse(text('HOSTS', '{}')), // "host:port" of URLs -> address and port to connect to
  seed: number('SEED', 1),

  executor: text('EXECUTOR', 'none'),
  vus: number('VUS', 1),
  maxVus: number('MAX_VUS', 0),
  rate: number('RATE_PER_S', 0),
  iterations: number('ITERATIONS', 1),
  stages: JSON.parse(text('STAGES', '[]')), // [[seconds, target], ...]
  loadS: number('LOAD_S', 10),
  startSpreadMs: number('START_SPREAD_MS', 0),
  drainS: number('DRAIN_S', 60),

  loginEach: text('LOGIN_EACH', '0') === '1',
  journey: text('JOURNEY', '0') === '1',
  thinkS: number('THINK_S', 0), // sleep after login and again after the list, half each
  completePauseS: number('COMPLETE_PAUSE_S', 0), // sleep before an upload is completed
  loginRate: number('LOGIN_RATE_PER_S', 0),
  listRate: number('LIST_RATE_PER_S', 0),
  trace: text('TRACE', '0') === '1', // one line for every request of an upload
  timeout: text('REQUEST_TIMEOUT', '60s'),
});
