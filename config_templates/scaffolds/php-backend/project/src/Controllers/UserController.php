<?php

declare(strict_types=1);

namespace App\Controllers;

use App\Auth\CurrentUser;
use App\Auth\SignIn;
use App\Database\AlreadyThere;
use App\Database\Repository;
use App\Http\HttpError;
use App\Http\Request;
use App\Http\Response;
use App\Http\Session;
use App\Models\User;
use App\Observability\Logger;
use App\View;

/** Accounts, and signing in to them. */
final readonly class UserController
{
    /** @param Repository<User> $users */
    public function __construct(
        private Session $session,
        private CurrentUser $current,
        private SignIn $signIn,
        private Repository $users,
        private View $view,
        private Logger $logger,
    ) {
    }

    /** Who is signed in, if anybody, and the token that changes have to carry. */
    public function session(): Response
    {
        $user = $this->current->get();
        return Response::json([
            'user' => $user ? $this->view->document('user', $user) : null,
            'csrfToken' => $this->session->csrfToken(),
        ]);
    }

    public function signIn(Request $request): Response
    {
        $this->signInBy($request);
        return $this->session();
    }

    public function signOut(): Response
    {
        $this->session->signOut();
        return new Response(204);
    }

    public function index(Request $request): Response
    {
        $this->current->requireAdmin();
        $limit = $request->queryNumber('limit', 50, 1, 200);
        $users = $this->users->findBy([], $limit, $request->queryNumber('after', 0, 0, PHP_INT_MAX));
        return Response::json(['users' => array_map(fn (User $each) => $this->view->document('user', $each), $users)]);
    }

    public function show(Request $request): Response
    {
        $current = $this->current->require();
        $user = $this->users->find($request->id());
        if ($user === null || !$current->isAdmin() && $user->id !== $current->id) {
            throw new HttpError(404, 'not_found', 'There is no such user.');
        }
        return Response::json($this->view->document('user', $user));
    }

    public function create(Request $request): Response
    {
        $this->current->requireAdmin();
        $email = $request->text('email', 254);
        if (filter_var($email, FILTER_VALIDATE_EMAIL) === false) {
            throw new HttpError(422, 'invalid', 'email takes an e-mail address.');
        }
        $password = $request->text('password', User::MAX_PASSWORD_BYTES, User::MIN_PASSWORD_BYTES);
        $user = User::named($email, $password);
        try {
            $this->users->save($user);
        } catch (AlreadyThere) {
            throw new HttpError(409, 'email_taken', 'There is an account with this e-mail address.');
        }
        $this->logger->info('user created', ['userId' => $user->id]);
        return Response::json($this->view->document('user', $user), 201);
    }

    public function adminSignInPage(): Response
    {
        return $this->signInPage('', 200);
    }

    public function adminSignIn(Request $request): Response
    {
        try {
            $this->signInBy($request);
        } catch (HttpError $error) {
            return $this->signInPage($error->getMessage(), $error->status)->withHeaders($error->headers);
        }
        return Response::redirect('/admin');
    }

    public function adminSignOut(): Response
    {
        $this->session->signOut();
        return Response::redirect('/admin/sign-in');
    }

    private function signInBy(Request $request): void
    {
        $email = $request->text('email', 254);
        $password = $request->text('password', User::MAX_PASSWORD_BYTES);
        try {
            $user = $this->signIn->check($email, $password, $request->address);
        } catch (HttpError $error) {
            $this->logger->warn('sign-in refused', ['reason' => $error->errorCode, 'address' => $request->address]);
            throw $error;
        }
        $this->session->signIn((int) $user->id);
        $this->logger->info('signed in', ['userId' => $user->id]);
    }

    private function signInPage(string $error, int $status): Response
    {
        $values = ['title' => 'Sign in', 'error' => $error, 'csrf' => $this->session->csrfToken()];
        return $this->view->page('sign-in', $values, $status);
    }
}
