<?php

declare(strict_types=1);

namespace App;

use RuntimeException;

/** A setting has a value that can't be used; the message names the variable, never its value. */
final class ConfigError extends RuntimeException
{
}
