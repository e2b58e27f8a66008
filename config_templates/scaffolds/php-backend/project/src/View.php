<?php

declare(strict_types=1);

namespace App;

use App\Database\Model;
use App\Http\Response;

/** Shows things: pages of views/admin, and the JSON forms of views/api. */
final readonly class View
{
    public function __construct(private string $folder, private string $siteName)
    {
    }

    /** @param array<string, mixed> $values what the page calls $title, $user and so on */
    public function page(string $name, array $values, int $status = 200): Response
    {
        $values += ['site' => $this->siteName, 'e' => self::escape(...)];
        $values['content'] = $this->fill("$this->folder/admin/$name.php", $values);
        return Response::html($this->fill("$this->folder/admin/layout.php", $values), $status);
    }

    /** @return array<string, mixed> */
    public function document(string $name, Model $model): array
    {
        return (require "$this->folder/api/$name.php")($model);
    }

    public static function escape(string|int|null $text): string
    {
        return htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML5, 'UTF-8');
    }

    /** @param array<string, mixed> $values */
    private function fill(string $file, array $values): string
    {
        extract($values, EXTR_SKIP);
        ob_start();
        require $file;
        return (string) ob_get_clean();
    }
}
