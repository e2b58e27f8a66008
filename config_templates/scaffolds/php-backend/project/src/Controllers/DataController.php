<?php

declare(strict_types=1);

namespace App\Controllers;

use App\Auth\CurrentUser;
use App\Database\Repository;
use App\Files\FileStore;
use App\Http\HttpError;
use App\Http\Request;
use App\Http\Response;
use App\Http\Session;
use App\Models\Data;
use App\Models\User;
use App\Observability\Logger;
use App\View;
use Throwable;

/** Entries and their files. Owners see their own, admins see all. */
final readonly class DataController
{
    /** @param Repository<Data> $entries */
    public function __construct(
        private Session $session,
        private CurrentUser $current,
        private Repository $entries,
        private FileStore $files,
        private View $view,
        private Logger $logger,
    ) {
    }

    public function index(Request $request): Response
    {
        $user = $this->current->require();
        $limit = $request->queryNumber('limit', 50, 1, 200);
        $after = $request->queryNumber('after', 0, 0, PHP_INT_MAX);
        $entries = $this->entries->findBy(['owner_id' => (int) $user->id], $limit, $after);
        return Response::json(['data' => array_map(fn (Data $each) => $this->view->document('data', $each), $entries)]);
    }

    /** Takes JSON or a form with a title, and in a multipart form a file too. */
    public function create(Request $request): Response
    {
        $entry = $this->createFor($this->current->require(), $request);
        return Response::json($this->view->document('data', $entry), 201)
            ->withHeaders(['Location' => "/api/data/$entry->id"]);
    }

    public function show(Request $request): Response
    {
        return Response::json($this->view->document('data', $this->entry($request, $this->current->require())));
    }

    public function file(Request $request): Response
    {
        $entry = $this->entry($request, $this->current->require());
        if ($entry->storedAs === null || !is_file($this->files->path($entry))) {
            throw new HttpError(404, 'not_found', 'This entry has no file.');
        }
        return Response::download($this->files->path($entry), (string) $entry->fileName, (string) $entry->mediaType);
    }

    public function delete(Request $request): Response
    {
        $this->deleteFor($this->current->require(), $request);
        return new Response(204);
    }

    public function adminPage(Request $request): Response
    {
        if ($this->current->get() === null) {
            return Response::redirect('/admin/sign-in');
        }
        $after = $request->queryNumber('after', 0, 0, PHP_INT_MAX);
        return $this->view->page('data', [
            'title' => 'Data',
            'user' => $this->current->requireAdmin(),
            'entries' => $this->entries->findBy([], 100, $after),
            'csrf' => $this->session->csrfToken(),
        ]);
    }

    public function adminCreate(Request $request): Response
    {
        $this->createFor($this->current->requireAdmin(), $request);
        return Response::redirect('/admin');
    }

    public function adminDelete(Request $request): Response
    {
        $this->deleteFor($this->current->requireAdmin(), $request);
        return Response::redirect('/admin');
    }

    private function createFor(User $owner, Request $request): Data
    {
        $entry = Data::titled($request->text('title', 200), $owner);
        $upload = $request->file('file');
        if ($upload !== null) {
            $this->files->keep($upload, $entry);
        }
        try {
            $this->entries->save($entry);
        } catch (Throwable $error) {
            $this->files->remove($entry);
            throw $error;
        }
        $this->logger->info('data created', ['dataId' => $entry->id, 'size' => $entry->size]);
        return $entry;
    }

    private function deleteFor(User $user, Request $request): void
    {
        $entry = $this->entry($request, $user);
        $this->entries->delete($entry);
        $this->files->remove($entry);
        $this->logger->info('data deleted', ['dataId' => $entry->id]);
    }

    /** What is not open to the caller answers as what is not there. */
    private function entry(Request $request, User $user): Data
    {
        $entry = $this->entries->find($request->id());
        return $entry !== null && $entry->isOpenTo($user)
            ? $entry
            : throw new HttpError(404, 'not_found', 'There is no such entry.');
    }
}
