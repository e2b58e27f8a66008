<?php

declare(strict_types=1);

namespace App\Database;

use RuntimeException;
use Throwable;

/** Another row has a value that has to be unique. */
final class AlreadyThere extends RuntimeException
{
    public function __construct(?Throwable $previous = null)
    {
        parent::__construct('There is such a row already.', 0, $previous);
    }
}
