<?php

declare(strict_types=1);

namespace App\Database;

use InvalidArgumentException;
use PDOException;

/**
 * Finds and saves the models of one class.
 *
 * Values only ever travel as parameters; names of columns come from the model.
 *
 * @template T of Model
 */
final readonly class Repository
{
    // What databases say where a unique value is there already (SQL:2016, class 23).
    private const CONSTRAINT_VIOLATED = ['23000', '23505'];

    /** @param class-string<T> $model */
    public function __construct(private Connection $connection, private string $model)
    {
    }

    /** @return T|null */
    public function find(int $id): ?Model
    {
        return $this->findBy(['id' => $id], 1)[0] ?? null;
    }

    /**
     * The models whose columns have these values, by id; those after the id `$after`.
     *
     * @param array<string, int|string> $criteria
     * @return list<T>
     */
    public function findBy(array $criteria, int $limit = 100, int $after = 0): array
    {
        $conditions = ['id > :after'];
        foreach (array_keys($criteria) as $column) {
            if ($column !== 'id' && !isset($this->model::COLUMNS[$column])) {
                throw new InvalidArgumentException("There is no column $column.");
            }
            $conditions[] = "$column = :$column";
        }
        $sql = 'SELECT * FROM ' . $this->model::TABLE . ' WHERE ' . implode(' AND ', $conditions)
            . " ORDER BY id LIMIT $limit";
        return array_map($this->model::fromRow(...), $this->connection->rows($sql, $criteria + ['after' => $after]));
    }

    /**
     * Insert what has no id, update what has one.
     *
     * @param T $model
     * @throws AlreadyThere where another row has a value that has to be unique
     */
    public function save(Model $model): void
    {
        try {
            $model->id === null ? $this->insert($model) : $this->update($model);
        } catch (PDOException $error) {
            $isConflict = in_array((string) $error->getCode(), self::CONSTRAINT_VIOLATED, true);
            throw $isConflict ? new AlreadyThere(previous: $error) : $error;
        }
    }

    /** @param T $model */
    public function delete(Model $model): void
    {
        $this->connection->run('DELETE FROM ' . $model::TABLE . ' WHERE id = ?', [$model->id]);
    }

    private function insert(Model $model): void
    {
        $columns = array_keys($model::COLUMNS);
        $sql = 'INSERT INTO ' . $model::TABLE . ' (' . implode(', ', $columns) . ')'
            . ' VALUES (:' . implode(', :', $columns) . ')';
        $this->connection->run($sql, $model->toRow());
        $model->id = (int) $this->connection->pdo()->lastInsertId();
    }

    private function update(Model $model): void
    {
        $set = implode(', ', array_map(static fn ($column) => "$column = :$column", array_keys($model::COLUMNS)));
        $sql = 'UPDATE ' . $model::TABLE . " SET $set WHERE id = :id";
        $this->connection->run($sql, $model->toRow() + ['id' => $model->id]);
    }
}
