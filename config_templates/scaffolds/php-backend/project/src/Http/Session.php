<?php

declare(strict_types=1);

namespace App\Http;

use App\Config;
use App\Files\Folder;

/** PHP's session, begun when something is first asked of it, so that probes leave none behind. */
final readonly class Session
{
    private const IDLE_SECONDS = 3600;

    public function __construct(private Config $config)
    {
    }

    public function userId(): ?int
    {
        // Without a cookie there is nothing to read, and nothing to begin for it.
        if (!isset($_COOKIE[$this->cookieName()])) {
            return null;
        }
        $this->start();
        return $_SESSION['user_id'] ?? null;
    }

    /** A new id at each sign-in, so that one that somebody planted before is worth nothing. */
    public function signIn(int $userId): void
    {
        $this->start();
        session_regenerate_id(true);
        $_SESSION = ['user_id' => $userId, 'seen' => time()];
    }

    public function signOut(): void
    {
        $this->start();
        session_regenerate_id(true);
        $_SESSION = [];
    }

    public function csrfToken(): string
    {
        $this->start();
        return $_SESSION['csrf'] ??= bin2hex(random_bytes(32));
    }

    public function requireCsrfToken(Request $request): void
    {
        $known = isset($_COOKIE[$this->cookieName()]) ? $this->csrfToken() : '';
        if ($known === '' || !hash_equals($known, $request->csrfToken())) {
            throw new HttpError(403, 'csrf', 'The request has no valid CSRF token; load the page anew.');
        }
    }

    private function start(): void
    {
        if (session_status() === PHP_SESSION_ACTIVE) {
            return;
        }
        session_name($this->cookieName());
        session_set_cookie_params([
            'path' => '/',
            'secure' => $this->config->secureCookies,
            'httponly' => true,
            'samesite' => 'Lax',
        ]);
        session_start([
            'save_path' => Folder::made($this->config->varFolder . '/sessions'),
            'use_strict_mode' => 1,
            'use_only_cookies' => 1,
            'cache_limiter' => '',
            'gc_maxlifetime' => self::IDLE_SECONDS,
            'gc_probability' => 1,
            'gc_divisor' => 100,
        ]);
        if (($_SESSION['seen'] ?? 0) < time() - self::IDLE_SECONDS) {
            unset($_SESSION['user_id']);
        }
        $_SESSION['seen'] = time();
    }

    private function cookieName(): string
    {
        // Browsers let nobody but this very host set a cookie of the first name (RFC 6265bis).
        return $this->config->secureCookies ? '__Host-session' : 'session';
    }
}
