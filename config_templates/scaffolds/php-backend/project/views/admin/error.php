<?php

/**
 * @var Closure $e
 * @var string $message
 */

?>
    <p role="alert"><?= $e($message) ?></p>
    <p><a href="/admin">Back</a></p>
