<?php

declare(strict_types=1);

use App\Models\Data;

return static fn (Data $data): array => [
    'id' => $data->id,
    'title' => $data->title,
    'file' => $data->storedAs === null ? null : [
        'name' => $data->fileName,
        'type' => $data->mediaType,
        'size' => $data->size,
        'url' => "/api/data/$data->id/file",
    ],
    'createdAt' => $data->createdAt,
];
