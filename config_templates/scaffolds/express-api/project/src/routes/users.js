import { Router } from 'express';

/** What of a user may be shown to themselves: no password, in whatever form. */
export const shownUser = ({ id, email, name, createdAt }) => ({ id, email, name, createdAt });

export function usersRoutes({ authenticate }) {
  const router = Router();

  router.get('/users/me', authenticate, (request, response) => {
    response.json(shownUser(request.user));
  });

  return router;
}
