<?php

declare(strict_types=1);

namespace App\Http;

/** Finds what answers a method and a path. `{id}` in a path stands for a whole number. */
final class Router
{
    /** @var array<string, array<string, callable(Request): Response>> handlers by path and method */
    private array $routes = [];

    /** @param callable(Request): Response $handler */
    public function add(string $method, string $path, callable $handler): void
    {
        $this->routes[$path][$method] = $handler;
    }

    /**
     * The path of the route and its handler; the request gets the variable parts.
     *
     * @return array{string, callable(Request): Response}
     * @throws HttpError where nothing answers
     */
    public function match(Request $request): array
    {
        $method = $request->method === 'HEAD' ? 'GET' : $request->method;
        foreach ($this->routes as $path => $handlers) {
            $pattern = preg_replace('/\{(\w+)\}/', '(?<$1>[0-9]{1,18})', $path);
            if (preg_match("#^$pattern$#D", $request->path, $found)) {
                $request->parameters = array_filter($found, 'is_string', ARRAY_FILTER_USE_KEY);
                return isset($handlers[$method])
                    ? [$path, $handlers[$method]]
                    : throw new HttpError(405, 'method_not_allowed', 'This address takes other methods.', [
                        'Allow' => implode(', ', array_keys($handlers)),
                    ]);
            }
        }
        throw new HttpError(404, 'not_found', 'There is nothing at this address.');
    }
}
