import { ApiError, notFound } from '../errors.js';
import { isUnreachable } from '../store/mongo.js';

const CODE_OF_STATUS = {
  400: 'BAD_REQUEST',
  413: 'BODY_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
};

export const refuseUnknownPaths = () => {
  throw notFound();
};

/** Answers every error in one shape; what went wrong inside stands in the log alone. */
export const answerErrors = (error, request, response, next) => {
  if (response.headersSent) return next(error);
  const { status, code, message } = readable(error);
  if (status >= 500) request.log.error({ error }, 'a request failed');
  response.status(status).json({ error: { code, message } });
};

function readable(error) {
  if (error instanceof ApiError) return error;
  // Express and its body parser say by `status` what is wrong with a request.
  if (error.status >= 400 && error.status < 500) {
    const code = CODE_OF_STATUS[error.status] ?? 'BAD_REQUEST';
    return { status: error.status, code, message: 'The request could not be read.' };
  }
  if (isUnreachable(error)) {
    return { status: 503, code: 'DATABASE_UNAVAILABLE', message: 'Try again later.' };
  }
  return { status: 500, code: 'INTERNAL_ERROR', message: 'Something went wrong.' };
}
