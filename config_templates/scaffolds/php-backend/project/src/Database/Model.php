<?php

declare(strict_types=1);

namespace App\Database;

/** One row. A model names its table and which property holds which column. */
abstract class Model
{
    public const TABLE = '';

    /** @var array<string, string> property by column, without the id */
    public const COLUMNS = [];

    public ?int $id = null;

    final public function __construct()
    {
    }

    /** @param array<string, mixed> $row */
    public static function fromRow(array $row): static
    {
        $model = new static();
        foreach (['id' => 'id'] + static::COLUMNS as $column => $property) {
            $model->$property = $row[$column];
        }
        return $model;
    }

    /** @return array<string, int|string|null> */
    public function toRow(): array
    {
        return array_map(fn (string $property): int|string|null => $this->$property, static::COLUMNS);
    }
}
