/** Time comes in as an argument, so that tests can move it. */
export interface Clock {
  now(): Date;
}
