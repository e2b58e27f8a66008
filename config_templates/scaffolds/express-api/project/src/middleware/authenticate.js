import { ApiError } from '../errors.js';

/** Lets requests with a valid bearer token pass, with their account as request.user. */
export const createAuthenticator = (store, tokens) => async (request, response, next) => {
  const [, token] = /^Bearer ([\w.-]+)$/i.exec(request.get('authorization') ?? '') ?? [];
  const userId = token && (await tokens.userIdOf(token));
  request.user = userId && (await store.findUser(userId));
  if (!request.user) {
    response.set('WWW-Authenticate', 'Bearer');
    throw new ApiError(401, 'UNAUTHORIZED', 'A valid access token is needed.');
  }
  next();
};
