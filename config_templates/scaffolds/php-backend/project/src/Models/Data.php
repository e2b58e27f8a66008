<?php

declare(strict_types=1);

namespace App\Models;

use App\Database\Model;

/** An entry with a title and, where one was uploaded, a file. */
final class Data extends Model
{
    public const TABLE = 'data';
    public const COLUMNS = [
        'owner_id' => 'ownerId',
        'title' => 'title',
        'file_name' => 'fileName',
        'media_type' => 'mediaType',
        'size' => 'size',
        'stored_as' => 'storedAs',
        'created_at' => 'createdAt',
    ];

    public int $ownerId = 0;
    public string $title = '';
    public ?string $fileName = null;
    public ?string $mediaType = null;
    public ?int $size = null;
    public ?string $storedAs = null;
    public string $createdAt = '';

    public static function titled(string $title, User $owner): self
    {
        $data = new self();
        $data->ownerId = (int) $owner->id;
        $data->title = $title;
        $data->createdAt = gmdate('Y-m-d\TH:i:s\Z');
        return $data;
    }

    public function isOpenTo(User $user): bool
    {
        return $user->isAdmin() || $this->ownerId === $user->id;
    }
}
