<?php

declare(strict_types=1);

namespace App\Http;

/** What goes back. The body is a text, or a file that is sent as it is. */
final readonly class Response
{
    private const ALWAYS = [
        'Cache-Control' => 'no-store',
        'Content-Security-Policy' =>
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        'Referrer-Policy' => 'same-origin',
        'X-Content-Type-Options' => 'nosniff',
    ];

    /** @param array<string, string> $headers */
    public function __construct(
        public int $status,
        public string $body = '',
        public array $headers = [],
        private ?string $file = null,
    ) {
    }

    public static function json(mixed $document, int $status = 200): self
    {
        $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE;
        return new self($status, json_encode($document, $flags), ['Content-Type' => 'application/json']);
    }

    public static function html(string $page, int $status = 200): self
    {
        return new self($status, $page, ['Content-Type' => 'text/html; charset=utf-8']);
    }

    public static function redirect(string $path): self
    {
        return new self(303, '', ['Location' => $path]);
    }

    /** A download under the name that its uploader gave it (RFC 6266, RFC 8187). */
    public static function download(string $file, string $name, string $type): self
    {
        $plain = preg_replace('/[^A-Za-z0-9._ -]/', '_', $name);
        return new self(200, '', [
            'Content-Type' => $type,
            'Content-Disposition' => "attachment; filename=\"$plain\"; filename*=UTF-8''" . rawurlencode($name),
            'Content-Security-Policy' => "default-src 'none'; sandbox",
        ], $file);
    }

    /** @param array<string, string> $headers */
    public function withHeaders(array $headers): self
    {
        return new self($this->status, $this->body, $headers + $this->headers, $this->file);
    }

    public function send(bool $withBody): void
    {
        http_response_code($this->status);
        header_remove('X-Powered-By');
        foreach ($this->headers + self::ALWAYS as $name => $value) {
            header("$name: $value");
        }
        header('Content-Length: ' . ($this->file === null ? strlen($this->body) : filesize($this->file)));
        if ($withBody) {
            $this->file === null ? print($this->body) : readfile($this->file);
        }
    }
}
