/** A query that Mixpanel refuses, with the text that it shows. */
export class RefusedQueryError extends Error {
  readonly status: number;
  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}
