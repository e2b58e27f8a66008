<?php
// Tells what reached PHP, and answers with what proxies like to lose.
header('Content-Type: text/html; charset=iso-8859-1');
header('Set-Cookie: first=1; path=/');
header('Set-Cookie: second=2; path=/; HttpOnly', false);
header('X-Old-Header: ' . "M\xfcller");
if (isset($_GET['status'])) http_response_code((int) $_GET['status']);
if (isset($_GET['big'])) {
    for ($i = 0; $i < 300; $i++) echo str_repeat(chr($i % 256), 10000);
    exit;
}
if (isset($_GET['slow'])) sleep((int) $_GET['slow']);
$raw = file_get_contents('php://input');
$headers = array();
foreach ($_SERVER as $name => $value) if (strpos($name, 'HTTP_') === 0) $headers[$name] = bin2hex($value);
$files = array();
foreach ($_FILES as $name => $file) $files[$name] = $file['error'] ? $file['error'] : hash_file('sha256', $file['tmp_name']);
echo json_encode(array(
    'files' => $files,
    'method' => $_SERVER['REQUEST_METHOD'],
    'query' => $_SERVER['QUERY_STRING'],
    'type' => isset($_SERVER['CONTENT_TYPE']) ? $_SERVER['CONTENT_TYPE'] : null,
    'length' => (int) $_SERVER['CONTENT_LENGTH'],
    'sha256' => hash('sha256', $raw),
    'address' => $_SERVER['REMOTE_ADDR'],
    'headers' => $headers,
));
