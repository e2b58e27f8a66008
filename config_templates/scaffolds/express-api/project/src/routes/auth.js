import { Router } from 'express';
import { ObjectId } from 'mongodb';
import { z } from 'zod';
import { ApiError } from '../errors.js';
import { hashPassword, isPassword } from '../passwords.js';
import { valid } from '../validation.js';
import { shownUser } from './users.js';

const email = z.string().trim().toLowerCase().max(254).pipe(z.email());
const Registration = z.strictObject({
  email,
  password: z.string().min(10).max(200),
  name: z.string().trim().min(1).max(100),
});
const Login = z.strictObject({ email, password: z.string().max(200) });

export function authRoutes({ store, tokens, limit }) {
  const router = Router();

  const signedIn = async (user) => ({
    accessToken: await tokens.issue(user.id),
    tokenType: 'Bearer',
    expiresIn: tokens.lifetimeSeconds,
    user: shownUser(user),
  });

  router.post('/auth/register', limit, async (request, response) => {
    const { password, ...given } = valid(Registration, request.body);
    const user = {
      id: new ObjectId().toHexString(),
      ...given,
      passwordHash: await hashPassword(password),
      createdAt: new Date().toISOString(),
    };
    await store.createUser(user);
    request.log.info({ userId: user.id }, 'an account was made');
    response.status(201).json(await signedIn(user));
  });

  router.post('/auth/login', limit, async (request, response) => {
    const { email, password } = valid(Login, request.body);
    const user = await store.findUserByEmail(email);
    if (!(await isPassword(password, user?.passwordHash))) {
      throw new ApiError(401, 'WRONG_CREDENTIALS', 'Address or password is wrong.');
    }
    response.json(await signedIn(user));
  });

  return router;
}
