// GoVault's client, played unchanged: its set-up, its ramps, its rounds.
//
// It proves that clients written for GoVault work here. Nothing is measured with it: the file is the same
// every time, both methods pause differently, and an iteration that ends early still counts as one.

import http from 'k6/http';
import { check, sleep } from 'k6';
import { GATEWAY, NOBODY, is200, json, visit } from './journey.js';
import { ramp } from './ramp.js';

const SCALE = Number(__ENV.SCALE || '0.1');
const PROFILE = __ENV.PROFILE || 'stress';
const TIME = Number(__ENV.TIME || '1'); // factor on the lengths of the stages, for a quick check
const USERS = Math.round(Number(__ENV.USERS || Math.round(1000 * SCALE)));

export const options = {
  setupTimeout: '8m',
  scenarios: { visits: ramp(PROFILE, SCALE, TIME) },
  systemTags: ['name', 'status', 'scenario', 'check', 'group'], // the summary counts checks by the last two
};

export function setup() {
  const users = [];
  for (let i = 1; i <= USERS; i += 1) {
    const email = `test-${i}@govault.com`;
    const account = { username: `user_${i}`, email, password: 'Test@1234' };
    const body = JSON.stringify(account);
    const signup = http.post(`${GATEWAY}/auth/signup`, body, { headers: json });
    check(signup, { 'signup status is 200': is200 });
    sleep(0.1);
    const login = http.post(`${GATEWAY}/auth/login`, body, { headers: json });
    users.push({ email, password: account.password, token: login.json('token') });
  }
  return { users };
}

export default function iteration(data) {
  visit(data.users[(__VU - 1) % data.users.length], NOBODY);
}

export function handleSummary(summary) {
  return __ENV.SUMMARY ? { [__ENV.SUMMARY]: JSON.stringify(summary) } : {};
}
