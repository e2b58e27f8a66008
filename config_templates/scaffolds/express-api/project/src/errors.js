/** A refusal that the client may read: its status, a code for programs and words for people. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const notFound = () => new ApiError(404, 'NOT_FOUND', 'There is no such thing here.');

export const emailTaken = () => new ApiError(409, 'EMAIL_TAKEN', 'This address has an account.');
