<?php

/**
 * @var Closure $e
 * @var string $site
 * @var string $title
 * @var string $content what a page showed, escaped already
 */

?>
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title><?= $e($title) ?> · <?= $e($site) ?></title>
  <link rel="stylesheet" href="/style.css">
</head>
<body>
  <header><bdi><?= $e($site) ?></bdi></header>
  <main>
    <h1><?= $e($title) ?></h1>
<?= $content ?>
  </main>
</body>
</html>
