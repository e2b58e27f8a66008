<?php

declare(strict_types=1);

namespace App\Http;

/** What the client sent. */
final class Request
{
    /** @var array<string, string> The variable parts of the path, by name. */
    public array $parameters = [];

    /**
     * @param array<string, string> $headers by lower-case name
     * @param array<mixed> $query
     * @param array<mixed> $form
     * @param array<mixed> $files as in $_FILES
     */
    public function __construct(
        public readonly string $method,
        public readonly string $path,
        public readonly string $id,
        public readonly string $address = '',
        private readonly array $headers = [],
        private readonly array $query = [],
        private readonly array $form = [],
        private readonly array $files = [],
        private readonly string $body = '',
    ) {
    }

    public static function fromGlobals(): self
    {
        $headers = [];
        foreach ($_SERVER as $name => $value) {
            if (str_starts_with($name, 'HTTP_')) {
                $headers[strtolower(str_replace('_', '-', substr($name, 5)))] = (string) $value;
            }
        }
        $headers['content-type'] = (string) ($_SERVER['CONTENT_TYPE'] ?? '');
        $headers['content-length'] = (string) ($_SERVER['CONTENT_LENGTH'] ?? '');
        $given = $headers['x-request-id'] ?? '';

        return new self(
            method: (string) ($_SERVER['REQUEST_METHOD'] ?? 'GET'),
            path: '/' . ltrim(explode('?', (string) ($_SERVER['REQUEST_URI'] ?? '/'), 2)[0], '/'),
            id: preg_match('/^[A-Za-z0-9._-]{1,64}$/D', $given) ? $given : bin2hex(random_bytes(16)),
            address: (string) ($_SERVER['REMOTE_ADDR'] ?? ''),
            headers: $headers,
            query: $_GET,
            form: $_POST,
            files: $_FILES,
            body: (string) file_get_contents('php://input'),
        );
    }

    public function header(string $name): string
    {
        return $this->headers[strtolower($name)] ?? '';
    }

    public function id(): int
    {
        return (int) $this->parameters['id'];
    }

    /** A whole number of the query string within bounds. */
    public function queryNumber(string $name, int $default, int $low, int $high): int
    {
        $value = $this->query[$name] ?? (string) $default;
        if (!is_string($value) || !preg_match('/^\d{1,18}$/D', $value) || $value < $low || $value > $high) {
            throw new HttpError(422, 'invalid', "$name takes a whole number from $low to $high.");
        }
        return (int) $value;
    }

    /** A text of the JSON or form body. */
    public function text(string $name, int $maxBytes, int $minBytes = 1): string
    {
        $value = $this->fields()[$name] ?? null;
        if (!is_string($value) || strlen($value) > $maxBytes || strlen($value) < $minBytes) {
            throw new HttpError(422, 'invalid', "$name takes a text of $minBytes to $maxBytes bytes.");
        }
        // PostgreSQL has no NUL in texts, and no database takes broken UTF-8.
        if (!preg_match('/^[^\0]*$/uD', $value)) {
            throw new HttpError(422, 'invalid', "$name takes text in UTF-8.");
        }
        return $value;
    }

    /** The token that proves that a page of ours sent this. */
    public function csrfToken(): string
    {
        $field = $this->form['csrf'] ?? '';
        return $this->header('x-csrf-token') ?: (is_string($field) ? $field : '');
    }

    /** @return array<string, mixed>|null one entry of $_FILES; null where no file was sent */
    public function file(string $name): ?array
    {
        $file = $this->files[$name] ?? null;
        $isThere = is_array($file) && is_int($file['error']) && $file['error'] !== UPLOAD_ERR_NO_FILE;
        return $isThere ? $file : null;
    }

    /** PHP throws a body away that is larger than it takes; that must not look like an empty one. */
    public function requireBodyWithinLimit(): void
    {
        $limit = ini_parse_quantity((string) ini_get('post_max_size'));
        if ($limit > 0 && (int) $this->header('content-length') > $limit) {
            throw new HttpError(413, 'too_large', "A request may have at most $limit bytes.");
        }
    }

    /** @return array<mixed> */
    private function fields(): array
    {
        if (!str_starts_with(strtolower($this->header('content-type')), 'application/json')) {
            return $this->form;
        }
        $fields = json_decode($this->body, true, 16);
        if (!is_array($fields)) {
            throw new HttpError(400, 'invalid_json', 'The body is no JSON object.');
        }
        return $fields;
    }
}
