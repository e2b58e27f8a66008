<?php

/**
 * @var Closure $e
 * @var string $error
 * @var string $csrf
 */

?>
<?php if ($error !== '') : ?>
    <p role="alert"><?= $e($error) ?></p>
<?php endif ?>
    <form method="post" action="/admin/sign-in">
      <input type="hidden" name="csrf" value="<?= $e($csrf) ?>">
      <label>E-mail <input type="email" name="email" autocomplete="username" required></label>
      <label>Password <input type="password" name="password" autocomplete="current-password" required></label>
      <button>Sign in</button>
    </form>
