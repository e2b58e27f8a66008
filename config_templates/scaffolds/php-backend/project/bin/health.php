<?php

declare(strict_types=1);

// Asks the running service for its health; ends with 1 where it is not well. For Docker's HEALTHCHECK.

$url = 'http://127.0.0.1:' . (getenv('PORT') ?: '8080') . '/health';
$answer = @file_get_contents($url, false, stream_context_create(['http' => ['timeout' => 3]]));
exit($answer === false ? 1 : 0);
