<?php

/**
 * @var Closure $e
 * @var App\Models\User $user
 * @var list<App\Models\Data> $entries
 * @var string $csrf
 */

?>
    <form method="post" action="/admin/sign-out">
      <input type="hidden" name="csrf" value="<?= $e($csrf) ?>">
      <p>Signed in as <bdi><?= $e($user->email) ?></bdi>. <button>Sign out</button></p>
    </form>
    <form method="post" action="/admin/data" enctype="multipart/form-data">
      <input type="hidden" name="csrf" value="<?= $e($csrf) ?>">
      <label>Title <input name="title" maxlength="200" required></label>
      <label>File <input type="file" name="file"></label>
      <button>Add</button>
    </form>
    <table>
      <thead>
        <tr>
          <th scope="col">Title</th><th scope="col">File</th>
          <th scope="col">Created</th><th scope="col">Actions</th>
        </tr>
      </thead>
      <tbody>
<?php foreach ($entries as $entry) : ?>
        <tr>
          <td><bdi><?= $e($entry->title) ?></bdi></td>
          <td>
    <?php if ($entry->storedAs !== null) : ?>
            <a href="/api/data/<?= $e($entry->id) ?>/file"><bdi><?= $e($entry->fileName) ?></bdi></a>,
            <?= $e($entry->size) ?> bytes
    <?php endif ?>
          </td>
          <td><?= $e($entry->createdAt) ?></td>
          <td>
            <form method="post" action="/admin/data/<?= $e($entry->id) ?>/delete">
              <input type="hidden" name="csrf" value="<?= $e($csrf) ?>">
              <button>Delete</button>
            </form>
          </td>
        </tr>
<?php endforeach ?>
      </tbody>
    </table>
<?php if (count($entries) === 100) : ?>
    <p><a href="/admin?after=<?= $e(end($entries)->id) ?>">Next page</a></p>
<?php endif ?>
