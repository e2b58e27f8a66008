<?php

declare(strict_types=1);

namespace App;

use App\Auth\CurrentUser;
use App\Auth\SignIn;
use App\Controllers\DataController;
use App\Controllers\StatusController;
use App\Controllers\UserController;
use App\Database\Connection;
use App\Database\Migrator;
use App\Database\Repository;
use App\Files\FileStore;
use App\Files\Folder;
use App\Http\HttpError;
use App\Http\Request;
use App\Http\Response;
use App\Http\Router;
use App\Http\Session;
use App\Models\Data;
use App\Models\User;
use App\Observability\Logger;
use App\Observability\LogShipper;
use App\Observability\Metrics;
use ErrorException;
use PDOException;
use Throwable;

/** Puts the parts together, answers one request, and afterwards counts it and ships its logs. */
final class Application
{
    private const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];
    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR;

    public readonly Connection $connection;
    private readonly Logger $logger;
    private readonly LogShipper $shipper;
    private readonly Metrics $metrics;
    private readonly Session $session;
    private readonly View $view;
    private string $route = 'unmatched';
    private ?Response $response = null;

    public function __construct(public readonly Config $config)
    {
        $var = Folder::made($config->varFolder);
        $this->connection = new Connection($config->databaseUrl, $config->root);
        $this->logger = new Logger('php-backend', $config->logLevel);
        $this->shipper = new LogShipper($config->cmsUrl, $config->serviceId, $config->ingestToken, $var);
        $this->metrics = new Metrics("$var/metrics.json");
        $this->session = new Session($config);
        $this->view = new View($config->root . '/views', $config->name);
    }

    /** Answers the request that this process was started for. */
    public static function run(string $root): void
    {
        ini_set('display_errors', '0');
        // Traces go to the log; passwords must not.
        ini_set('zend.exception_ignore_args', '1');
        ignore_user_abort(true);
        set_error_handler(static function (int $severity, string $message, string $file, int $line): bool {
            // What an @ silences is not meant to be an exception.
            return error_reporting() & $severity
                ? throw new ErrorException($message, 0, $severity, $file, $line)
                : false;
        });
        try {
            $application = new self(Config::fromEnvironment($root));
        } catch (Throwable $error) {
            $line = Logger::line(['level' => 'error', 'message' => 'not started: ' . $error->getMessage()]);
            file_put_contents('php://stderr', $line);
            self::failure()->send(true);
            return;
        }
        $started = hrtime(true);
        $request = Request::fromGlobals();
        // A fatal error ends the script, and still comes by here.
        register_shutdown_function(fn () => $application->finish($request, $started));
        $application->response = $application->handle($request);
        $application->response->send($request->method !== 'HEAD');
    }

    public function migrator(): Migrator
    {
        return new Migrator($this->connection, $this->config->root . '/migrations');
    }

    /** @return Repository<User> */
    public function users(): Repository
    {
        return new Repository($this->connection, User::class);
    }

    private function handle(Request $request): Response
    {
        $this->logger->traceId = $request->id;
        try {
            $request->requireBodyWithinLimit();
            [$this->route, $handler] = $this->router()->match($request);
            if (!in_array($request->method, self::SAFE_METHODS, true)) {
                $this->session->requireCsrfToken($request);
            }
            $response = $handler($request);
        } catch (HttpError $error) {
            $response = $this->refusal($request, $error)->withHeaders($error->headers);
        } catch (Throwable $error) {
            $this->logger->error($error->getMessage(), [
                'exception' => $error::class,
                'at' => $error->getFile() . ':' . $error->getLine(),
                'trace' => $error->getTraceAsString(),
            ]);
            $isAway = $error instanceof PDOException && !$this->databaseAnswers();
            $response = $this->refusal($request, $isAway
                ? new HttpError(503, 'unavailable', 'The database does not answer.')
                : new HttpError(500, 'internal_error', 'Something went wrong here.'));
        }
        return $response->withHeaders(['X-Request-Id' => $request->id]);
    }

    private function router(): Router
    {
        $users = $this->users();
        $current = new CurrentUser($this->session, $users);
        $signIn = new SignIn($this->connection, $users);
        $files = new FileStore($this->config->varFolder . '/uploads', $this->config->uploadMaxBytes);
        $entries = new Repository($this->connection, Data::class);

        $status = new StatusController($this->config, $this->connection, $this->metrics);
        $user = new UserController($this->session, $current, $signIn, $users, $this->view, $this->logger);
        $data = new DataController($this->session, $current, $entries, $files, $this->view, $this->logger);

        $router = new Router();
        $router->add('GET', '/', static fn (): Response => Response::redirect('/admin'));
        $router->add('GET', '/health', $status->health(...));
        $router->add('GET', '/metrics', $status->metrics(...));
        $router->add('GET', '/admin', $data->adminPage(...));
        $router->add('POST', '/admin/data', $data->adminCreate(...));
        $router->add('POST', '/admin/data/{id}/delete', $data->adminDelete(...));
        $router->add('GET', '/admin/sign-in', $user->adminSignInPage(...));
        $router->add('POST', '/admin/sign-in', $user->adminSignIn(...));
        $router->add('POST', '/admin/sign-out', $user->adminSignOut(...));
        $router->add('GET', '/api/session', $user->session(...));
        $router->add('POST', '/api/session', $user->signIn(...));
        $router->add('DELETE', '/api/session', $user->signOut(...));
        $router->add('GET', '/api/users', $user->index(...));
        $router->add('POST', '/api/users', $user->create(...));
        $router->add('GET', '/api/users/{id}', $user->show(...));
        $router->add('GET', '/api/data', $data->index(...));
        $router->add('POST', '/api/data', $data->create(...));
        $router->add('GET', '/api/data/{id}', $data->show(...));
        $router->add('GET', '/api/data/{id}/file', $data->file(...));
        $router->add('DELETE', '/api/data/{id}', $data->delete(...));
        return $router;
    }

    /** People get a page, programs get JSON. */
    private function refusal(Request $request, HttpError $error): Response
    {
        return str_starts_with($request->path, '/admin')
            ? $this->view->page('error', ['title' => 'Error', 'message' => $error->getMessage()], $error->status)
            : self::errorDocument($error->status, $error->errorCode, $error->getMessage());
    }

    private static function errorDocument(int $status, string $code, string $message): Response
    {
        return Response::json(['error' => ['code' => $code, 'message' => $message]], $status);
    }

    private static function failure(): Response
    {
        return self::errorDocument(500, 'internal_error', 'Something went wrong here.');
    }

    private function databaseAnswers(): bool
    {
        try {
            return $this->connection->rows('SELECT 1 AS one') !== [];
        } catch (PDOException) {
            return false;
        }
    }

    /** What happens when the client has its answer already, where the server can send it so early. */
    private function finish(Request $request, int $started): void
    {
        $fatal = error_get_last();
        if ($fatal !== null && $fatal['type'] & self::FATAL) {
            $this->logger->error($fatal['message'], ['at' => "{$fatal['file']}:{$fatal['line']}"]);
            $this->response = self::failure();
            headers_sent() || $this->response->send(true);
        }
        session_write_close();
        function_exists('fastcgi_finish_request') ? fastcgi_finish_request() : flush();

        $seconds = (hrtime(true) - $started) / 1e9;
        $status = $this->response->status ?? 500;
        $isProbe = in_array($this->route, ['/health', '/metrics'], true);
        $this->logger->{$isProbe && $status < 500 ? 'debug' : 'info'}("$request->method $request->path $status", [
            'method' => $request->method,
            'path' => $request->path,
            'route' => $this->route,
            'status' => $status,
            'durationMs' => round($seconds * 1000, 2),
            'address' => $request->address,
        ]);
        try {
            $this->metrics->observe($request->method, $this->route, $status, $seconds);
            $this->shipper->ship($this->logger->take());
        } catch (Throwable $error) {
            // As when the disk is full: the request itself was answered.
            $this->logger->warn('metrics or logs could not be kept: ' . $error->getMessage());
        }
    }
}
