<?php

declare(strict_types=1);

namespace App\Files;

use App\Http\HttpError;
use App\Models\Data;
use finfo;

/** Uploaded files, kept outside the web root under random names. */
final readonly class FileStore
{
    // What the content itself looks like; the type that the client claims counts for nothing.
    private const TYPES = [
        'application/pdf',
        'image/gif',
        'image/jpeg',
        'image/png',
        'image/webp',
        'text/csv',
        'text/plain',
    ];

    public function __construct(private string $folder, private int $maxBytes)
    {
    }

    /**
     * Keep an uploaded file and note in the entry what it is.
     *
     * @param array<string, mixed> $upload one entry of $_FILES
     * @throws HttpError for a file that is refused
     */
    public function keep(array $upload, Data $entry): void
    {
        if (in_array($upload['error'], [UPLOAD_ERR_INI_SIZE, UPLOAD_ERR_FORM_SIZE], true)) {
            throw $this->tooLarge();
        }
        if ($upload['error'] !== UPLOAD_ERR_OK || !is_uploaded_file($upload['tmp_name'])) {
            throw new HttpError(400, 'upload_failed', 'The file did not arrive whole.');
        }
        $size = (int) filesize($upload['tmp_name']);
        if ($size > $this->maxBytes) {
            throw $this->tooLarge();
        }
        $type = (string) (new finfo(FILEINFO_MIME_TYPE))->file($upload['tmp_name']);
        if (!in_array($type, self::TYPES, true)) {
            throw new HttpError(415, 'unsupported_type', 'Files of this type are not taken.');
        }
        Folder::made($this->folder);
        $entry->storedAs = bin2hex(random_bytes(16));
        move_uploaded_file($upload['tmp_name'], $this->path($entry));
        chmod($this->path($entry), 0600);
        $entry->fileName = self::safeName((string) $upload['name']);
        $entry->mediaType = $type;
        $entry->size = $size;
    }

    public function path(Data $entry): string
    {
        return "$this->folder/$entry->storedAs";
    }

    public function remove(Data $entry): void
    {
        if ($entry->storedAs !== null && is_file($this->path($entry))) {
            unlink($this->path($entry));
        }
    }

    /** The last part of the name, without what could mean something to a file system or a header. */
    private static function safeName(string $name): string
    {
        $last = preg_replace('#^.*[/\\\\]#s', '', $name);
        $clean = preg_replace('/[\p{C}"<>:|?*]/u', '_', $last) ?? '';
        preg_match('/^.{0,100}/us', ltrim($clean, '. '), $start);
        return ($start[0] ?? '') === '' ? 'file' : $start[0];
    }

    private function tooLarge(): HttpError
    {
        return new HttpError(413, 'too_large', "A file may have at most $this->maxBytes bytes.");
    }
}
