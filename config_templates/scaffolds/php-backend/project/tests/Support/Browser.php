<?php

declare(strict_types=1);

namespace App\Tests\Support;

/** A client that keeps cookies and sends the CSRF token along. */
final class Browser
{
    /** @var array<string, string> */
    public array $cookies = [];
    public string $csrf = '';

    public function __construct(private readonly int $port)
    {
    }

    /** @param array<string, string> $headers */
    public function send(string $method, string $path, string $body = '', array $headers = []): Answer
    {
        $headers += ['X-CSRF-Token' => $this->csrf, 'Connection' => 'close'];
        $headers += ['Cookie' => http_build_query($this->cookies, arg_separator: '; ')];
        $lines = array_map(static fn (string $name): string => "$name: $headers[$name]", array_keys($headers));
        $stream = fopen("http://127.0.0.1:$this->port$path", 'r', false, stream_context_create(['http' => [
            'method' => $method,
            'header' => $lines,
            'content' => $body,
            'ignore_errors' => true,
            'follow_location' => 0,
            'timeout' => 10,
        ]]));
        $received = [];
        $raw = stream_get_meta_data($stream)['wrapper_data'];
        foreach (array_slice($raw, 1) as $line) {
            [$name, $value] = explode(': ', $line, 2) + [1 => ''];
            $received[strtolower($name)] = $value;
            if (strtolower($name) === 'set-cookie' && preg_match('/^([^=]+)=([^;]*)/', $value, $cookie)) {
                $this->cookies[$cookie[1]] = $cookie[2];
            }
        }
        return new Answer((int) explode(' ', $raw[0])[1], $received, (string) stream_get_contents($stream));
    }

    /** @param array<string, mixed> $document */
    public function sendJson(string $method, string $path, array $document): Answer
    {
        return $this->send($method, $path, (string) json_encode($document), ['Content-Type' => 'application/json']);
    }

    /** @param array<string, string> $fields */
    public function sendForm(string $path, array $fields): Answer
    {
        $headers = ['Content-Type' => 'application/x-www-form-urlencoded'];
        return $this->send('POST', $path, http_build_query($fields), $headers);
    }

    public function upload(string $path, string $title, string $fileName, string $content): Answer
    {
        $body = "--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n$title\r\n"
            . "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"$fileName\"\r\n"
            . "Content-Type: image/png\r\n\r\n$content\r\n--x--\r\n";
        return $this->send('POST', $path, $body, ['Content-Type' => 'multipart/form-data; boundary=x']);
    }

    public function signIn(string $email, string $password): Answer
    {
        $this->csrf = $this->send('GET', '/api/session')->json()['csrfToken'];
        $answer = $this->sendJson('POST', '/api/session', ['email' => $email, 'password' => $password]);
        $this->csrf = $answer->json()['csrfToken'] ?? $this->csrf;
        return $answer;
    }
}
