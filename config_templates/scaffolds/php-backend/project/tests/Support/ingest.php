<?php

declare(strict_types=1);

// Stands for the log ingest: notes what arrives, and answers with the status in the file `status`.

$folder = (string) getenv('FOLDER');
http_response_code((int) file_get_contents("$folder/status"));
$request = [
    'path' => $_SERVER['REQUEST_URI'],
    'authorization' => $_SERVER['HTTP_AUTHORIZATION'] ?? '',
    'body' => json_decode((string) file_get_contents('php://input'), true),
];
file_put_contents("$folder/requests", json_encode($request) . "\n", FILE_APPEND);
