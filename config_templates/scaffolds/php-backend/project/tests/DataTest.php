<?php

declare(strict_types=1);

namespace App\Tests;

use App\Tests\Support\ServerTestCase;

final class DataTest extends ServerTestCase
{
    private const HOSTILE_TITLE = "<script>alert('x')</script> \"'; DROP TABLE data; -- käse";

    public function testEntriesBelongToWhoMadeThem(): void
    {
        $alice = self::signedIn();
        $made = $alice->sendJson('POST', '/api/data', ['title' => self::HOSTILE_TITLE]);
        self::assertSame(201, $made->status, $made->body);
        $path = $made->headers['location'];
        self::assertSame(self::HOSTILE_TITLE, $alice->send('GET', $path)->json()['title']);
        self::assertNull($alice->send('GET', $path)->json()['file']);
        self::assertSame([$made->json()], $alice->send('GET', '/api/data')->json()['data']);

        $bob = self::signedIn();
        self::assertSame([], $bob->send('GET', '/api/data')->json()['data']);
        self::assertRefused(404, 'not_found', $bob->send('GET', $path));
        self::assertRefused(404, 'not_found', $bob->send('DELETE', $path));
        self::assertRefused(401, 'unauthenticated', self::stranger()->send('GET', $path));
        self::assertSame(204, $alice->send('DELETE', $path)->status);
        self::assertRefused(404, 'not_found', $alice->send('GET', $path));
    }

    public function testListsComeInPages(): void
    {
        $browser = self::signedIn();
        foreach (['a', 'b', 'c'] as $title) {
            $browser->sendJson('POST', '/api/data', ['title' => $title]);
        }
        $first = $browser->send('GET', '/api/data?limit=2')->json()['data'];
        self::assertSame(['a', 'b'], array_column($first, 'title'));
        $rest = $browser->send('GET', "/api/data?limit=2&after={$first[1]['id']}")->json()['data'];
        self::assertSame(['c'], array_column($rest, 'title'));
        foreach (['limit=0', 'limit=x', 'limit[]=1', 'after=-1'] as $query) {
            self::assertRefused(422, 'invalid', $browser->send('GET', "/api/data?$query"));
        }
    }

    public function testABadBodyIsRefused(): void
    {
        $browser = self::signedIn();
        $json = ['Content-Type' => 'application/json'];
        self::assertRefused(400, 'invalid_json', $browser->send('POST', '/api/data', '{', $json));
        foreach (['{}', '{"title": ""}', '{"title": 5}', '{"title": "a\u0000b"}'] as $body) {
            self::assertRefused(422, 'invalid', $browser->send('POST', '/api/data', $body, $json));
        }
    }

    public function testAFileComesBackAsItWasUploaded(): void
    {
        $browser = self::signedIn();
        $made = $browser->upload('/api/data', 'Notes', '../../public/käse.php', 'some text');
        self::assertSame(201, $made->status, $made->body);
        self::assertSame('käse.php', $made->json()['file']['name']);
        self::assertSame('text/plain', $made->json()['file']['type']);

        $answer = $browser->send('GET', $made->json()['file']['url']);
        self::assertSame('some text', $answer->body);
        self::assertSame(
            'attachment; filename="k__se.php"; filename*=UTF-8\'\'k%C3%A4se.php',
            $answer->headers['content-disposition'],
        );
        self::assertSame('nosniff', $answer->headers['x-content-type-options']);
        self::assertRefused(404, 'not_found', self::signedIn()->send('GET', $made->json()['file']['url']));

        $kept = glob(self::$folder . '/uploads/*') ?: [];
        self::assertCount(1, $kept);
        self::assertMatchesRegularExpression('#/[0-9a-f]{32}$#', $kept[0]);
        $browser->send('DELETE', $made->headers['location']);
        self::assertSame([], glob(self::$folder . '/uploads/*'));
    }

    public function testTheContentDecidesWhetherAFileIsTaken(): void
    {
        $browser = self::signedIn();
        $answer = $browser->upload('/api/data', 'x', 'x.png', "\x7fELF\x02\x01\x01" . str_repeat("\0", 60));
        self::assertRefused(415, 'unsupported_type', $answer);
        $answer = $browser->upload('/api/data', 'x', 'x.png', '<html><script>alert(1)</script></html>');
        self::assertRefused(415, 'unsupported_type', $answer);
    }

    public function testALargeFileIsRefused(): void
    {
        $browser = self::signedIn();
        // The second is more than PHP itself takes for a body.
        $most = ini_parse_quantity((string) ini_get('post_max_size'));
        foreach ([2_000_001, max(2_000_001, $most)] as $size) {
            self::assertRefused(413, 'too_large', $browser->upload('/api/data', 'x', 'x', str_repeat('x', $size)));
        }
    }

    public function testTheAdminPageShowsTextAsText(): void
    {
        self::signedIn()->sendJson('POST', '/api/data', ['title' => self::HOSTILE_TITLE]);
        $page = self::signedIn('admin')->send('GET', '/admin');
        self::assertSame(200, $page->status);
        self::assertStringContainsString('&lt;script&gt;alert(&apos;x&apos;)', $page->body);
        self::assertStringNotContainsString('<script', $page->body);
        self::assertStringContainsString("default-src 'none'", $page->headers['content-security-policy']);
    }

    public function testTheAdminPageIsForAdmins(): void
    {
        self::assertSame('/admin/sign-in', self::stranger()->send('GET', '/admin')->headers['location']);
        $refused = self::signedIn()->send('GET', '/admin');
        self::assertSame(403, $refused->status);
        self::assertStringContainsString('This is for admins.', $refused->body);
    }

    public function testAnAdminWorksByForms(): void
    {
        $browser = self::stranger();
        $csrf = static function (string $page): string {
            preg_match('/name="csrf" value="(\w+)"/', $page, $found);
            return $found[1];
        };
        $token = $csrf($browser->send('GET', '/admin/sign-in')->body);
        $credentials = ['email' => self::newUser('admin')->email, 'password' => self::PASSWORD];
        self::assertSame(403, $browser->sendForm('/admin/sign-in', $credentials)->status);
        $wrong = $browser->sendForm('/admin/sign-in', ['csrf' => $token, 'password' => 'wrong'] + $credentials);
        self::assertSame(401, $wrong->status);
        self::assertStringContainsString('do not belong together', $wrong->body);
        self::assertSame(303, $browser->sendForm('/admin/sign-in', ['csrf' => $token] + $credentials)->status);

        $token = $csrf($browser->send('GET', '/admin')->body);
        $browser->csrf = $token;
        self::assertSame(303, $browser->upload('/admin/data', 'By form', 'a.txt', 'text')->status);
        $page = $browser->send('GET', '/admin')->body;
        self::assertStringContainsString('By form', $page);
        preg_match_all('#/admin/data/(\d+)/delete#', $page, $found);
        $path = '/admin/data/' . end($found[1]) . '/delete';
        self::assertSame(303, $browser->sendForm($path, ['csrf' => $token])->status);
        self::assertStringNotContainsString('By form', $browser->send('GET', '/admin')->body);
        self::assertSame(303, $browser->sendForm('/admin/sign-out', ['csrf' => $token])->status);
        self::assertSame(303, $browser->send('GET', '/admin')->status);
    }
}
