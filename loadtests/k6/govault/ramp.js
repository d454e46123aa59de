// GoVault's ramps: seconds and the VUs at their end, as its own script has them.

const SHAPES = {
  load: [[60, 200], [180, 200], [60, 0]],
  stress: [[60, 250], [60, 500], [60, 750], [120, 1000], [60, 0]],
  spike: [[10, 0], [20, 2000], [60, 2000], [20, 0]],
};

/** A scenario of one of its shapes, with factors on its VUs and on its durations. */
export function ramp(shape, scale, time) {
  return {
    executor: 'ramping-vus',
    startVUs: 0,
    stages: SHAPES[shape].map(([seconds, vus]) => ({
      duration: `${Math.round(seconds * time * 1000)}ms`,
      target: Math.round(vus * scale),
    })),
  };
}
