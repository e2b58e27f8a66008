<?php

declare(strict_types=1);

namespace App\Tests;

use App\Tests\Support\ServerTestCase;

final class SignInTest extends ServerTestCase
{
    public function testSigningInGivesANewSessionId(): void
    {
        $user = self::newUser();
        $browser = self::stranger();
        $browser->send('GET', '/api/session');
        $planted = $browser->cookies['session'];
        $answer = $browser->signIn(strtoupper($user->email), self::PASSWORD);
        self::assertSame(200, $answer->status);
        self::assertSame($user->email, $answer->json()['user']['email']);
        self::assertNotSame($planted, $browser->cookies['session']);
        self::assertStringNotContainsString('assword', $answer->body);
    }

    public function testTheCookieIsOutOfReachForScriptsAndOtherSites(): void
    {
        $cookie = self::stranger()->send('GET', '/api/session')->headers['set-cookie'];
        self::assertStringContainsString('HttpOnly', $cookie);
        self::assertStringContainsString('SameSite=Lax', $cookie);
    }

    public function testASessionIdThatTheServerDidNotMakeIsNotTaken(): void
    {
        $browser = self::stranger();
        $browser->cookies['session'] = 'abcdefghijklmnopqrstuvwxyz';
        $browser->send('GET', '/api/session');
        self::assertNotSame('abcdefghijklmnopqrstuvwxyz', $browser->cookies['session']);
    }

    public function testAWrongPasswordAndAnUnknownAddressAnswerAlike(): void
    {
        $wrong = self::stranger()->signIn(self::newUser()->email, 'wrong');
        $unknown = self::stranger()->signIn('nobody-' . bin2hex(random_bytes(4)) . '@example.com', 'wrong');
        self::assertRefused(401, 'wrong_credentials', $wrong);
        self::assertSame($wrong->body, $unknown->body);
    }

    public function testGuessingIsSlowedDown(): void
    {
        $email = self::newUser()->email;
        for ($attempt = 0; $attempt < 5; $attempt++) {
            self::assertSame(401, self::stranger()->signIn($email, 'wrong')->status);
        }
        $answer = self::stranger()->signIn($email, self::PASSWORD);
        self::assertRefused(429, 'too_many_attempts', $answer);
        self::assertSame('900', $answer->headers['retry-after']);
    }

    public function testChangesNeedTheCsrfToken(): void
    {
        $browser = self::signedIn();
        foreach (['', 'wrong'] as $token) {
            $browser->csrf = $token;
            self::assertRefused(403, 'csrf', $browser->sendJson('POST', '/api/data', ['title' => 'x']));
        }
        self::assertRefused(403, 'csrf', self::stranger()->sendJson('POST', '/api/session', []));
    }

    public function testSigningOutEndsTheSession(): void
    {
        $browser = self::signedIn();
        $before = $browser->cookies;
        self::assertSame(204, $browser->send('DELETE', '/api/session')->status);
        self::assertRefused(401, 'unauthenticated', $browser->send('GET', '/api/data'));
        $browser->cookies = $before;
        self::assertRefused(401, 'unauthenticated', $browser->send('GET', '/api/data'));
    }

    public function testOnlyAdminsMakeAndListAccounts(): void
    {
        $new = ['email' => bin2hex(random_bytes(6)) . '@example.com', 'password' => self::PASSWORD];
        $user = self::signedIn();
        self::assertRefused(403, 'forbidden', $user->sendJson('POST', '/api/users', $new));
        self::assertRefused(403, 'forbidden', $user->send('GET', '/api/users'));

        $admin = self::signedIn('admin');
        $made = $admin->sendJson('POST', '/api/users', $new);
        self::assertSame(201, $made->status, $made->body);
        self::assertSame('user', $made->json()['role']);
        self::assertRefused(409, 'email_taken', $admin->sendJson('POST', '/api/users', $new));
        self::assertRefused(422, 'invalid', $admin->sendJson('POST', '/api/users', ['email' => 'x'] + $new));
        self::assertRefused(422, 'invalid', $admin->sendJson('POST', '/api/users', ['password' => 'short'] + $new));
        $all = $admin->send('GET', '/api/users?limit=200')->json()['users'];
        self::assertContains($new['email'], array_column($all, 'email'));
        self::assertRefused(404, 'not_found', $user->send('GET', "/api/users/{$made->json()['id']}"));
    }
}
